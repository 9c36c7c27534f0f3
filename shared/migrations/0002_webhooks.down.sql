DROP TABLE alerts, jobs, transactions, accounts, events;
