"""Milvus collections behind the index protocol."""
