"""What is measured: samples and their spread, and the rows and limits that are made of them. Pure."""
