#!/bin/sh
# Bergen, what else lies about in /etc. None of it does anything any more, and nobody dares.
set -eu

# 2013-04-02  Kjell: the provider's own way to set addresses up, kept "for the rescue console".
mkdir -p /etc/network
cat >/etc/network/interfaces.provider-2013 <<'NET'
auto eth0
iface eth0 inet static
    address 198.51.100.20
    netmask 255.255.255.0
    gateway 198.51.100.254
NET

# 2014-12-27  Kjell: a disk at a friend's house over NFS. The friend has moved twice.
cat >>/etc/fstab <<'FSTAB'
#friend:/export/backup /mnt/friend nfs soft,noauto 0 0
FSTAB
mkdir -p /mnt/friend

# 2016-02-29  Kjell: rc.local, for a sound card that this server never had.
cat >/etc/rc.local.disabled <<'RC'
#!/bin/sh -e
modprobe snd-dummy
exit 0
RC

# 2017-08-31  Ingrid: after the Sunday. The file is still right, the server it names is not.
cat >/etc/nordlys-emergency.txt <<'TEXT'
1. call Kjell
2. restart mail:  /etc/init.d/postfix restart
3. backup is on old.nordlys.example:/backup (user backup)
TEXT

# 2020-06-02  Ingrid: Kjell's own cron file was not with the others.
cat >/etc/cron.d/zz-kjell <<'CRON'
# m h dom mon dow user  command
0 5 1 1 * root /root/bin/newyear.sh >/dev/null 2>&1
CRON

# 2021-09-05  Debian 10 to 11: what dpkg could not decide.
echo 'Port 2222' >/etc/ssh/sshd_config.ucf-old
cp /etc/logrotate.conf /etc/logrotate.conf.dpkg-dist
cat >/etc/logrotate.d/mailman <<'ROTATE'
/var/log/mailman/*log {
    missingok
    weekly
}
ROTATE

# 2023-07-15  Ingrid: sources of five releases, all but one out of use.
for release in wheezy jessie stretch buster bullseye; do
    echo "deb http://deb.example/debian $release main" \
        >"/etc/apt/sources.list.d/$release.list.disabled"
done
