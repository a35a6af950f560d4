"""What `benches/run` is made of: the plan, the measuring, the tables, the plot."""
