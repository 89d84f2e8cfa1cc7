#!/bin/sh
# The old mail server while its mail moves: it serves, holds what comes, or passes it on.
#
#   serving -- hold SECONDS --> holding -- pass --> passing -- gather SECONDS --> gathering
#   holding -- release --> serving     gathering -- pass --> passing     gathering -- serve --> serving
#
# Nothing is refused while it holds: mail that arrives is queued, connections to the other ports wait
# in the kernel until somebody accepts them. A hold ends by itself when nobody ends it in time, and
# after a restart. What was there before (main.cf, master.cf) is kept aside and put back as it was.
#
# The operator writes the file `config` beside this: TARGET and SEALED_AS, address and name of the new
# server; PASSES_AS, a name of this one; DOMAINS that mail is taken for; WRITING and READING, ports that are passed on.
set -eu
cd "$(dirname "$0")"
here=$PWD
# shellcheck source=/dev/null # written by the operator
. ./config
away=/run/generalprove-mail-away
deadman=generalprove-mail-deadman
postfix=/etc/postfix

exec 9>lock
flock 9
mode=$(cat mode 2>/dev/null || echo serving)

become() { echo "$1" >mode.new && mv mode.new mode; }

expect() {
    for one; do [ "$mode" != "$one" ] || return 0; done
    echo "the mail server is $mode now, not $*" >&2
    exit 3
}

each() { # each COMMAND KIND PORTS
    found=$(for port in $3; do echo "generalprove-mail@$port.$2"; done)
    # shellcheck disable=SC2086 # words
    [ -z "$found" ] || systemctl $1 $found
}

# Whatever reads a main.cf of this second waits until it is older (load_file.c of Postfix): nearly two
# seconds of a hold, and again in every process that starts. `postfix reload` does not wait: the queue
# manager of before may begin a delivery yet, and takes a flush with it, which nobody repeats for 300 s.
reload_postfix() {
    touch -d '10 seconds ago' "$postfix/main.cf" "$postfix/master.cf"
    systemctl is-active --quiet 'postfix@-.service' || return 0
    before=$(queue_manager)
    postfix reload 2>/dev/null
    tries=100
    while [ -n "$before" ] && [ "$(queue_manager)" = "$before" ]; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "the queue manager of before does not end" >&2; return 1; }
        sleep 0.05
    done
}

queue_manager() { pgrep -x -P "$(tr -d ' ' </var/spool/postfix/pid/master.pid)" qmgr || true; }

# Postfix is only told to reload, and goes on listening for a moment.
listen() { # listen PORTS: as soon as nobody else does
    for port in $1; do
        systemctl is-active --quiet "generalprove-mail@$port.socket" || unheard "$port"
    done
    each start socket "$1"
}

shut() { # shut PORTS: whoever comes waits, whoever is there goes
    for port in $1; do rm -f "open.$port"; done
    each stop service "$1"
}

unheard() {
    tries=100
    while ss -Htln "sport = :$1" | grep -q .; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "somebody goes on listening at port $1" >&2; return 1; }
        sleep 0.05
    done
}

original() {
    for file in main master; do
        [ -e "$file.cf" ] || continue
        cp -p "$file.cf" "$postfix/$file.cf.generalprove"
        mv "$postfix/$file.cf.generalprove" "$postfix/$file.cf"
    done
}

keep() { for file in main master; do [ -e "$file.cf" ] || cp -p "$postfix/$file.cf" "$file.cf"; done; }

# Whoever delivers now finishes; nobody else begins, because the queue manager was told so.
delivered() {
    tries=100
    while pgrep -f "$1" >/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "a delivery does not end" >&2; return 1; }
        sleep 0.1
    done
}

no_submission() {
    for entry in submission/inet submissions/inet smtps/inet 587/inet 465/inet; do
        [ -z "$(postconf -M "$entry" 2>/dev/null)" ] || postconf -MX "$entry"
    done
}

arm() {
    systemctl stop "$deadman.timer" 2>/dev/null || true
    systemd-run --quiet --collect --unit "$deadman" --on-active "$1" \
        --timer-property AccuracySec=100ms "$here/passage" expire
}

disarm() { systemctl stop "$deadman.timer" 2>/dev/null || true; }

serve() {
    disarm
    rm -f open.* away "$away"
    each stop socket "$WRITING $READING"
    each stop service "$WRITING $READING"
    # Readers first: they wait for this, and mail may wait longer.
    systemctl reset-failed dovecot.service 2>/dev/null || true
    began=true
    systemctl start dovecot.service || began=false
    each "disable --quiet" socket "$WRITING $READING"
    original
    reload_postfix
    become serving
    rm -f main.cf master.cf
    postqueue -f || true
    $began
}

pass() {
    [ "$mode" != holding ] || touch moved
    # From here on the mailboxes are the new server's; those who wait for theirs go first.
    become passing
    touch away
    for port in $WRITING $READING; do touch "open.$port"; done
    disarm
    each "enable --quiet --now" socket "$WRITING $READING"
    original
    no_submission
    maps=
    for domain in $DOMAINS; do maps="$maps {$domain = fleet:[$TARGET]:25}"; done
    # Aliases are looked at here as before, and name mailboxes, which the new server has.
    postconf -e "transport_maps = inline:{$maps }" \
        minimal_backoff_time=5s maximal_backoff_time=30s queue_run_delay=5s
    postconf -M fleet/unix='fleet unix - - n - - smtp'
    # Both call themselves what the MX record says, and Postfix would see a loop. Whatever the new
    # server does not take waits here: nobody gets back what was accepted once.
    postconf -P "fleet/unix/myhostname=$PASSES_AS" fleet/unix/soft_bounce=yes \
        fleet/unix/smtp_tls_security_level=secure \
        "fleet/unix/smtp_tls_secure_cert_match=$SEALED_AS" \
        "fleet/unix/smtp_tls_CAfile=$here/authority.pem"
    reload_postfix
    postqueue -f || true
}

case ${1:-} in
    state)
        echo "mode $mode"
        echo "dovecot $(systemctl is-active dovecot.service || true)"
        echo "postfix $(systemctl is-active 'postfix@-.service' || true)"
        ;;
    hold)
        expect serving holding
        keep
        arm "$2"
        trap 'serve' EXIT
        become holding
        no_submission
        postconf -e 'defer_transports = local lmtp virtual'
        reload_postfix
        listen "$WRITING"
        delivered "^(local|lmtp|virtual) .*-t unix|dovecot-lda"
        touch "$away"
        systemctl stop dovecot.service
        systemctl stop dovecot.socket 2>/dev/null || true
        listen "$READING"
        trap - EXIT
        ;;
    pass)
        expect holding gathering passing
        pass
        ;;
    gather)
        expect passing gathering
        arm "$2"
        trap 'pass' EXIT
        become gathering
        # What the new server has taken from those who send is in its queue, and goes first.
        shut "$WRITING"
        postconf -e 'defer_transports = fleet'
        reload_postfix
        delivered "smtp -n fleet"
        trap - EXIT
        ;;
    close) # the second half of gathering: what the new server had queued is delivered
        expect gathering
        shut "$READING"
        ;;
    serve)
        expect gathering serving
        serve
        ;;
    release)
        expect holding serving
        serve
        ;;
    expire) # the dead-man, and after a restart
        case $mode in
            holding) serve ;;
            gathering) pass ;;
        esac
        ;;
    *)
        echo "unknown: ${1:-}" >&2
        exit 2
        ;;
esac
