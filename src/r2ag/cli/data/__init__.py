"""`r2ag data …`: data sets and documents to records, one file a command."""
