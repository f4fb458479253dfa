-- Settings that keep warnings of commits from the client, or give those of other nodes in a language that it does not know.
SELECT setting FROM score.find_silent_nodes() AS setting
