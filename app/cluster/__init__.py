"""The roles of a cluster, made of the parts that `serve` is made of."""
