"""Photos that a dataset has only links to: fetched politely, checked, and resumable.

`download.py` leads from a dataset's name to its report, and `run.py` joins the leaves: `links`,
`host_queues` (whose turn it is), `host_health` (hosts that are given up), `fetcher` (one question
to one host), `addresses` (where links may lead), `failure`, `store`, `journal` and `report`.
"""
