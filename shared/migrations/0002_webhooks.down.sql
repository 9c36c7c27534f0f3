DROP TABLE upkeep, alerts, claims, jobs, transactions, accounts, events;
