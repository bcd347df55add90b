"""Downloads photos from lists of links, as some datasets publish: politely, checked, resumable.

`download.download` and `fetch_links` are the entry points; `scheduler` schedules attempts over
hosts, `fetch` makes one request, `addresses` keeps it on the public internet, `store`, `journal`
and `report` record it.
"""
