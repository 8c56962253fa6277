# What is run against every target, and what runs it. Sourced by run.sh, which reads the names.
# shellcheck shell=bash disable=SC2034

WORKLOADS=(
    simple-c1 extended-c1 prepared-c1
    simple-c32 extended-c32 prepared-c32 prepared-c32-tls
    simple-c500 extended-c500 prepared-c500
    select1-c32 literals-c32 paced-4000 pipeline10 churn churn-tls
    stream stream-tls copy-out copy-in
    idle-1000 idle-1000-tls idle-5000 idle-5000-tls idle-20000
)
# Too exact to need repeats.
ONCE_WORKLOADS=(idle-5000 idle-5000-tls idle-20000)
# What a trial leaves out: too long, and no other code than their likes.
LONG_WORKLOADS=("${ONCE_WORKLOADS[@]}" extended-c500 prepared-c500)
# Where targets that are neither PgBouncer nor pgwarden show in a trial that they work.
SAMPLE_WORKLOADS=(prepared-c32-tls simple-c500 stream copy-in churn)
# What is judged by its text, and what is judged once.
RULED_WORKLOADS=(literals-c32 extended-c32 prepared-c32)
ROW_BYTES=1000

# one_of WORD LIST…
one_of() { [[ " ${*:2} " == *" $1 "* ]]; }

# prepare_workloads WORKLOAD…: what they read, as far as it is needed.
prepare_workloads() {
    write_scripts
    [[ " $* " == *" copy-"* ]] || return 0
    # Rows of about 200 bytes.
    psql_direct -c "create unlogged table wide as
            select g as id, repeat(md5(g::text), 6) as body
            from generate_series(1, $COPY_MB * 5000) g" \
        -c "create unlogged table sink (like wide)" \
        -c "\\copy wide to '$WORK/wide.copy'"
    COPY_BYTES=$(stat -c %s "$WORK/wide.copy")
}

# takes_part WORKLOAD TARGET; where it does not, WHY_NOT is for the table, or empty where the
# target is there for other workloads only.
takes_part() {
    WHY_NOT=""
    case $2 in
        pgwarden-pu) [[ $1 == extended-* || $1 == pipeline10 ]] || return ;;
        pgwarden-free | pgwarden-ruled) one_of "$1" "${RULED_WORKLOADS[@]}" || return ;;
        pgwarden-2w) [[ $1 != idle-* ]] || return ;;
        pgbouncer)
            if [[ $1 == prepared-* && $POOL_MODE == transaction ]] && ! pgbouncer_prepares; then
                WHY_NOT="PgBouncer $PGBOUNCER_VERSION has no prepared statements in transaction mode"
            fi
            ;;
        direct | haproxy | pgpool)
            [[ $1 != idle-* ]] || WHY_NOT="opens a server connection, and a process, for each client"
            ;;
    esac
    if [[ -n $SHORT && $2 == @(direct|haproxy|pgpool|pgwarden-2w) ]]; then
        one_of "$1" "${SAMPLE_WORKLOADS[@]}" || return
    fi
    if [[ $POOL_MODE == session && $1 == @(*-c500*|idle-*) ]]; then
        WHY_NOT="more clients than servers, in session mode"
    fi
    [[ -z $WHY_NOT ]]
}

# Whether a cell needs a process of its own: memory that once was used tells nothing, and pgpool-II
# keeps a process for as many clients as may come.
wants_fresh() {
    [[ $1 == idle-* || $2/$1 == pgpool/*-c500 ]]
}

# command_of WORKLOAD INSTANCE: the command in COMMAND, how cell.py is to take it in MEASURE, and
# libpq's sslmode in SSLMODE.
command_of() {
    local kind=${1%-tls} clients=32 tls=()
    SSLMODE=disable MEASURE=()
    if [[ $1 == *-tls ]]; then SSLMODE=require tls=(--tls); fi
    case $kind in
        *-c1) clients=1 ;;
        *-c500) clients=500 ;;
        pipeline10 | churn) clients=8 ;;
        stream | copy-out)
            local query="SELECT generate_series(1, $STREAM_ROWS), repeat('x', $ROW_BYTES)"
            local least=$((STREAM_ROWS * ROW_BYTES))
            if [[ $kind == copy-out ]]; then query="COPY wide TO STDOUT" least=$COPY_BYTES; fi
            MEASURE=(--prints-json)
            COMMAND=(python3 "$HERE/stream.py" "${tls[@]}" --at-least "$least" "$query")
            return
            ;;
        copy-in)
            MEASURE=(--bytes "$COPY_BYTES")
            COMMAND=("$PGBIN/psql" -Xq -v ON_ERROR_STOP=1 -c "\\copy sink from '$WORK/wide.copy'")
            return
            ;;
        idle-*)
            MEASURE=(--prints-json)
            COMMAND=(python3 "$HERE/idle.py" "${tls[@]}" --pooler "${PID[$2]}"
                --clients "$(as_many_as_may_be "${kind#idle-}")")
            return
            ;;
    esac
    pgbench_command "$kind" "$clients"
}

pgbench_command() {
    local sampling=0.2 total=600
    [[ $2 != 1 && -z $SHORT ]] || sampling=1
    [[ $1 != churn ]] || total=60
    COMMAND=("$PGBIN/pgbench" -n -c "$2" -j $(($2 < 2 ? 1 : 2)))
    # Whole seconds are too long for a trial.
    if [[ -n $SHORT ]]; then
        COMMAND+=(-t $((total / $2 + 1)))
    elif (($2 >= 500)); then
        # pgbench's clock runs while they log in, which may take it all. It is half as many as on idle cores.
        COMMAND+=(-t $((SECONDS_PER_CELL * 8000 / $2)))
    else
        COMMAND+=(-T "$SECONDS_PER_CELL")
    fi
    case $1 in
        churn) COMMAND+=(-S -M simple -C) && return ;;
        select1-* | literals-*) COMMAND+=(-M simple -f "$WORK/${1%-*}.sql") ;;
        pipeline10) COMMAND+=(-M extended -f "$WORK/pipeline10.sql") ;;
        paced-*) COMMAND+=(-S -M simple -R "${1#paced-}") ;;
        *) COMMAND+=(-S -M "${1%-*}") ;;
    esac
    MEASURE=(--sampling "$sampling")
}

# A process may not have more clients than files.
as_many_as_may_be() {
    local files
    files=$(ulimit -Hn)
    if [[ $files != unlimited ]] && (($1 > files - 100)); then echo $((files - 100)); else echo "$1"; fi
}
