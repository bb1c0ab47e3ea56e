"""Who a key is, and whom a case can be given to."""
