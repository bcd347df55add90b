"""What the report's page is made of: templates, their style, and the figures and tables on it."""
