"""Downloads photos of datasets that publish links only: politely, checked, resumable.

`download.download` is the entry point; `run` schedules attempts over `hosts`, `fetch` makes one
request, `addresses` keeps it on the public internet, `store`, `journal` and `report` record it.
"""
