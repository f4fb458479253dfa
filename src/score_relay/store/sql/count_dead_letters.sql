-- How many dead letters each receiver has.
SELECT receiver, count(*) AS letters FROM relay.dead_letter GROUP BY receiver
