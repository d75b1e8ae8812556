"""Sources of records: spreadsheets, catalogues, monitoring, feeds; and the merge of what they give."""
