\set aid random(1, 100000)
begin;
select abalance from pgbench_accounts where aid = :aid;
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
update pgbench_accounts set abalance = abalance - 1 where aid = :aid;
end;
select bbalance from pgbench_branches where bid = 1;
