"""The index protocol over Milvus."""
