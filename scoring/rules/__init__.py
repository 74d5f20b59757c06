"""Rules over any JSON: velocity, clauses and watchlists. Pure: no client, no clock, no file is touched here.

``load`` reads what people wrote, ``ruleset`` joins and names it, ``program`` compiles it for a merchant and an event
type, ``evaluate`` plans the reads of an event and decides by their answers. ``answers`` is what lies between that and
the stores.
"""
