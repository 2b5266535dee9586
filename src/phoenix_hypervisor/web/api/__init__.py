"""The JSON API, `/api/v1`: the same functions as the commands and the pages."""
