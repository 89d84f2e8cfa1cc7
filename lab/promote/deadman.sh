#!/bin/sh
# The dead-man of a promotion: nobody confirmed in time that this host can still be reached, so
# it goes back by itself. Armed by the operator, started by its timer.
#
# First the way in, which needs nobody else: packet filter, sshd and keys as they were when it was
# armed. Then a run of Puppet with the release of that time. Systemd starts this again until it
# ends well: the control host may be away.
set -eu
cd "$(dirname "$0")"
# shellcheck source=/dev/null # written when it is armed: CERTNAME, SERVER, ENVIRONMENT
. ./armed
echo fired >state

[ ! -s rules.nft ] || nft -f rules.nft
if ! cmp -s sshd_config /etc/ssh/sshd_config || ! cmp -s authorized_keys /root/.ssh/authorized_keys; then
    cp -p sshd_config /etc/ssh/sshd_config
    cp -p authorized_keys /root/.ssh/authorized_keys
    systemctl reload-or-restart ssh.service || systemctl restart ssh.service
fi

# A run under way is one of the release that is being left.
pkill -TERM -f '(^|/)puppet (agent|apply)' || true
while pgrep -f '(^|/)puppet (agent|apply)' >/dev/null; do sleep 0.3; done

code=0
puppet agent --onetime --no-daemonize --detailed-exitcodes --waitforcert 0 --no-usecacheonfailure \
    --agent_disabled_lockfile /run/generalprove-not-held \
    --server "$SERVER" --certname "$CERTNAME" --environment "$ENVIRONMENT" || code=$?
case $code in
    0 | 2) ;;
    *) exit 1 ;;
esac
echo returned >state
systemctl disable --quiet generalprove-deadman.timer
