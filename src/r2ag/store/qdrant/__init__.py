"""A store in Qdrant, one server or a cluster: a collection.

Qdrant has no transactions over several points, so a store keeps its own: each point bears the generation with which it
was `born`, and, once it is replaced or removed, the one with which it `died`. One more point holds the generation that
counts. A search reads that first and then sees the points of that generation alone; a writer adds and buries points
for the next one, which nobody sees, and then makes it count by changing the one point. What died is cleared away later,
when nobody reads it any more.
"""
