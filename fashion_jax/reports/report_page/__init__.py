"""Templates of the pages, their style sheets, and the report's figures and tables."""
