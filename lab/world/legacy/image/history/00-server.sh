#!/bin/sh
# Bergen, the server. What was typed on it, in the order it was typed, as far as root's shell
# history, etckeeper's remains and people's memories go.
set -eu

# 2013-04-02  Kjell: first login, Debian 7 from the provider's template.
cat >/etc/motd <<'MOTD'

   *  bergen  -- nordlys web, mail and name server
   *  LIVE SERVER. Ask Kjell before you restart anything.

MOTD
useradd --create-home --shell /bin/bash --comment 'Kjell (admin)' kjell
mkdir -p /root/bin /root/backup

# 2013-04-03  Kjell: password logins off after 11,000 attempts in the first night.
# (Again on 2016-11-19 and on 2021-09-05: every big upgrade offered to bring them back.)
cat >>/etc/ssh/sshd_config <<'SSHD'

# --- nordlys ---
PermitRootLogin without-password
PasswordAuthentication no
UseDNS no
SSHD

# 2013-04-20  Kjell: a firewall, some day. Never called from anywhere; the provider has one.
cat >/root/firewall.sh <<'FIREWALL'
#!/bin/sh
# TODO test this from the rescue console first!!
iptables -P INPUT DROP
iptables -A INPUT -i lo -j ACCEPT
iptables -A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
for p in 22 25 53 80 143; do iptables -A INPUT -p tcp --dport $p -j ACCEPT; done
iptables -A INPUT -p udp --dport 53 -j ACCEPT
FIREWALL
chmod 644 /root/firewall.sh

# 2014-02-11  Kjell: backup of everything that matters. Copied off the server "by hand".
cat >/root/bin/backup.sh <<'BACKUP'
#!/bin/sh
# weekly, see crontab -- keeps the last four
tar -czf "/root/backup/etc-$(date +%Y%m%d).tar.gz" /etc 2>/dev/null
ls -1t /root/backup/etc-*.tar.gz | tail -n +5 | xargs -r rm
BACKUP
chmod 755 /root/bin/backup.sh
printf '%s\n' '# nordlys' '17 4 * * 0 /root/bin/backup.sh' | crontab -

# 2017-08-30  Ingrid: an upgrade took the mail down on a Sunday. No upgrades by themselves since.
cat >/etc/apt/apt.conf.d/99nordlys <<'APT'
// ingrid 2017-08-30: NOT AUTOMATICALLY
APT::Periodic::Unattended-Upgrade "0";
APT

# 2020-06-01  Ingrid: Kjell has left. His account stays, "he may have cron jobs" (he has none).
usermod --lock --expiredate 2020-06-01 kjell
sed -i 's/Ask Kjell/Ask Ingrid (Kjell has left)/' /etc/motd

# 2023-07-15  Ingrid: Debian 11 to 12, in place, the fifth upgrade of this installation.
echo 'upgraded 7->8->9->10->11->12, 2023-07-15 ii' >/root/UPGRADED
