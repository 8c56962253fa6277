\set aid random(1, 100000)
\startpipeline
select abalance from pgbench_accounts where aid = :aid;
select :aid + 1;
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
select abalance from pgbench_accounts where aid = :aid;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :aid, 1, current_timestamp);
select count(*) from pgbench_branches;
select :aid * 2;
update pgbench_accounts set abalance = abalance - 1 where aid = :aid;
select count(*) from pgbench_tellers where tid < 5;
select 'last';
\endpipeline
