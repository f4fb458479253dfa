"""The watches a process holds on the score service, who is told what they bring, and the current periods."""
