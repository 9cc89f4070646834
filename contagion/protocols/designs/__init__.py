"""Rules by which lending pools close unsafe loans, one file a design."""
