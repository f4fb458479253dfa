-- The digest of the commit that ends at a revision.
SELECT digest FROM score.commit WHERE board_id = %(board_id)s AND last_revision = %(revision)s
