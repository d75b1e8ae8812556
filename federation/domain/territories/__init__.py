"""The register of the bodies that operators serve: French communes and EPCI, shipped with the program."""
