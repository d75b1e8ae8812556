"""Spreadsheets of operators: files, columns, values of cells, and the records that lines stand for."""
