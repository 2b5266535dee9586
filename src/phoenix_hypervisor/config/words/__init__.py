"""All words of the files as pydantic models, spelled as the files spell them.

They hold shapes and single values only; what needs two words to judge is in `config.rules`.
"""
