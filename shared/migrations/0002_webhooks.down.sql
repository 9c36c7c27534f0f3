DROP TABLE upkeep, alerts, jobs, transactions, accounts, events;
