"""A local page on which a person looks at the faces of a data set: a map, filters, neighbours, and marks."""
