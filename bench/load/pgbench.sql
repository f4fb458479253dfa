-- What an award is at the least: one insert into a ledger and one upsert of a total, in one transaction.
\set user random(1, 1000)
BEGIN;
INSERT INTO pgbench.award (user_id, points) VALUES (:user, 10);
INSERT INTO pgbench.total (user_id, total) VALUES (:user, 10)
    ON CONFLICT (user_id) DO UPDATE SET total = total.total + excluded.total;
END;
