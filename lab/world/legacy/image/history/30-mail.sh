#!/bin/sh
# Bergen, the mail server: Postfix, Dovecot 2.3, people with an account and people without.
set -eu
: "${DOMAIN:?}"
foreign="fjordpost.${DOMAIN#*.}"

# 2013-04-08  Kjell: accounts for the three of us. The hashes came with /etc/shadow of the old box.
useradd --create-home --shell /bin/bash --comment 'Ingrid Solheim' \
    --password "\$6\$nHq2ZrT0vLs8aKdW\$gjhZLTtTcgqVsF1w7qQTTyVOFYHfqOdpz8wl33orr6jc6aaBWrOc3fxnUBupNo8wx9mwOWR9KM3ouPbyS3zeS/" ingrid
useradd --create-home --shell /bin/bash --comment 'Odd' \
    --password "\$6\$7fWmB1xUeYtQp3Rc\$0bQoGooDeNDIGAGGrcj5PBdOF0w1CluxH0oTmzD/OwmKysUGDQX2QeVIZ5IaazLkWgGIuqeWjAMMCUuF4lfir1" odd

# 2014-09-01  Kjell: people without an account get their mail below /var/vmail.
# 2019-05-05  Ingrid: new passwords are bcrypt. Old ones stay until people change them. They don't.
# 2022-04-22  Ingrid: kurt has left. His line stays so that nobody takes the name.
groupadd --gid 5000 vmail
useradd --uid 5000 --gid vmail --home-dir /var/vmail --shell /usr/sbin/nologin vmail
mkdir -p /var/vmail
cat >/etc/dovecot/users <<USERS
# user:password:uid:gid:gecos:home   -- uid and gid are always vmail
kari@$DOMAIN:{SHA512-CRYPT}\$6\$Xc5gJk9PzVn4mD2s\$ecm/48l4M3mN5Hrd.5EfEyskNfvE38YPJFYkWsRhm4o3MtSdP7SnHVIC8Szx4wCBSZB4BjFbl3APtEVP..qw91::::
per.ole@$DOMAIN:{BLF-CRYPT}\$2y\$05\$Q7vYx1hT9bNcK3mJrWdLZekm7.juNTWlzB3TlSRY1V4NYE9sEFp0q::::
aase@$DOMAIN:{SHA256-CRYPT}\$5\$h3Tq8sLmV0yBnKcA\$XlVnkkrrk/MU8MVrN0rmC0zMh0A/CxxfWbfyZ3gBs.4::::
post@$DOMAIN:{SHA512-CRYPT}\$6\$u1RfWz6GdXj8TqEb\$3kF28FK/2zrI5wwz0I8T7ANNOIijwrYwnRCZom43YEXFYCiZmgnRWE9jCEb7PafZzSn7YG4DhiG/ykfE27MkH.::::
arkiv@$DOMAIN:{SHA512-CRYPT}\$6\$Ys4LkHv2NbPm7CxZ\$E/WS5EFms6RKqTLbs.Im8np/rAlgKqiNQmZbjX6PLXfqTpJupaPRMw789QSTY0pj7pkLJN1dzy9F3G1JI0m631::::
kunde@kunder.$DOMAIN:{SHA256-CRYPT}\$5\$9PdVgJwRt5XqZsHf\$FRNwM05cM07RTEKUtHlED.79Mg2ENryXsgQmTlUFTG7::::
#kurt@$DOMAIN:{SHA512-CRYPT}*left*::::
USERS
chown root:dovecot /etc/dovecot/users
chmod 640 /etc/dovecot/users
cp /etc/dovecot/users /etc/dovecot/users.bak

# 2014-09-02  Kjell: Postfix. main.cf in the order in which things were needed.
cp /etc/postfix/main.cf /etc/postfix/main.cf.orig
cat >/etc/postfix/main.cf <<MAIN
# bergen -- kjell 2014-09-02, ingrid
compatibility_level = 2
smtpd_banner = \$myhostname ESMTP
myhostname = mail.$DOMAIN
mydomain = $DOMAIN
myorigin = \$mydomain
# people with an account live in bergen.*, everybody else is virtual. NEVER list \$mydomain in both
mydestination = bergen.$DOMAIN, localhost.$DOMAIN, localhost
mynetworks = 127.0.0.0/8 [::1]/128 10.8.0.0/24
# the old office line, until 2016
#mynetworks = 127.0.0.0/8 10.8.0.0/24 198.51.100.0/24
relayhost =
inet_interfaces = all
inet_protocols = all
biff = no
append_dot_mydomain = no
recipient_delimiter = +
mailbox_size_limit = 0
message_size_limit = 104857600
alias_maps = hash:/etc/aliases
alias_database = hash:/etc/aliases

virtual_alias_maps = hash:/etc/postfix/virtual
virtual_mailbox_domains = $DOMAIN, kunder.$DOMAIN
virtual_alias_domains = lister.$DOMAIN
virtual_mailbox_maps = hash:/etc/postfix/vmailbox
virtual_mailbox_limit = 0
virtual_transport = lmtp:unix:private/dovecot-lmtp
lmtp_destination_recipient_limit = 1
mailbox_command = /usr/lib/dovecot/dovecot-lda -a "\$RECIPIENT"

smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
# only on 587 and 465, see master.cf
smtpd_sasl_auth_enable = no
# obsolete they say, but it was in the howto
smtpd_use_tls = yes
smtpd_tls_cert_file = /etc/ssl/nordlys/bergen.pem
smtpd_tls_key_file = /etc/ssl/nordlys/bergen.key
smtpd_tls_security_level = may
smtp_tls_security_level = may
#smtpd_tls_CAfile = /etc/ssl/nordlys/startssl-sub.class1.pem

disable_vrfy_command = yes
smtpd_helo_required = yes
# ingrid 2016: after the ONE evening as an open relay. test with swaks before you touch this
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions =
    reject_non_fqdn_recipient,
#    reject_rbl_client dnsbl.example,
#    check_policy_service inet:127.0.0.1:10023,
    permit
MAIN

# 2015-10-12  Kjell: submission with a password, and the old 465 again for one telephone.
postconf -M submission/inet='submission inet n - y - - smtpd'
postconf -P submission/inet/smtpd_tls_security_level=encrypt
postconf -P submission/inet/smtpd_sasl_auth_enable=yes
postconf -P submission/inet/smtpd_client_restrictions=permit_sasl_authenticated,reject
postconf -M smtps/inet='smtps inet n - y - - smtpd'
postconf -P smtps/inet/smtpd_tls_wrappermode=yes
postconf -P smtps/inet/smtpd_sasl_auth_enable=yes
postconf -P smtps/inet/smtpd_client_restrictions=permit_sasl_authenticated,reject
cp /etc/postfix/master.cf /etc/postfix/master.cf.2015
# 2019-11-05  Ingrid: the jail had last year's resolv.conf in it, mail stood still. No more jails.
postconf -F '*/*/chroot = n'
# 2023-07-16  Ingrid: since the upgrade it checks everything for seconds before it starts. Not here.
postfix check
mkdir -p /etc/systemd/system/postfix@-.service.d
cat >/etc/systemd/system/postfix@-.service.d/override.conf <<'UNIT'
[Service]
Type=simple
ExecStartPre=
ExecStart=
ExecStart=/usr/lib/postfix/sbin/master
UNIT

# 2014-09-02  Kjell: who is who. postmap after editing!
# 2021-11-02  Ingrid: kunder is a catch-all, "they invent an address for each shop".
cat >/etc/postfix/vmailbox <<BOXES
# kjell: the right side means nothing any more, dovecot decides (2019)
kari@$DOMAIN            $DOMAIN/kari/
per.ole@$DOMAIN         $DOMAIN/per.ole/
aase@$DOMAIN            $DOMAIN/aase/
post@$DOMAIN            $DOMAIN/post/
arkiv@$DOMAIN           $DOMAIN/arkiv/
kunde@kunder.$DOMAIN    kunder.$DOMAIN/kunde/
BOXES
cat >/etc/postfix/virtual <<VIRTUAL
# people with an account
ingrid@$DOMAIN          ingrid@bergen.$DOMAIN
odd@$DOMAIN             odd@bergen.$DOMAIN
kjell@$DOMAIN           kjell@bergen.$DOMAIN, ingrid@bergen.$DOMAIN
# the addresses that one must have (rfc 2142)
postmaster@$DOMAIN      ingrid@bergen.$DOMAIN
hostmaster@$DOMAIN      ingrid@bergen.$DOMAIN
abuse@$DOMAIN           ingrid@bergen.$DOMAIN
webmaster@$DOMAIN       odd@bergen.$DOMAIN
dmarc@$DOMAIN           arkiv@$DOMAIN
tlsrpt@$DOMAIN          arkiv@$DOMAIN
# other spellings
kari.nordmann@$DOMAIN   kari@$DOMAIN
Per-Ole@$DOMAIN         per.ole@$DOMAIN
info@$DOMAIN            post@$DOMAIN
kontakt@$DOMAIN         post@$DOMAIN, kari@$DOMAIN
# lists, by hand since the list software died (2019)
styret@$DOMAIN          ingrid@$DOMAIN, kari@$DOMAIN, per.ole@$DOMAIN
styret@lister.$DOMAIN   styret@$DOMAIN
alle@lister.$DOMAIN     styret@$DOMAIN, odd@$DOMAIN, aase@$DOMAIN, astrid@$foreign
# catch-all, the mailbox itself first or it would catch its own
kunde@kunder.$DOMAIN    kunde@kunder.$DOMAIN
@kunder.$DOMAIN         kunde@kunder.$DOMAIN
VIRTUAL
cat >/etc/aliases <<'ALIASES'
# after editing: newaliases
postmaster: root
root: ingrid
www-data: root
backup: root
# odd's script, 2016. the script is gone
#bilder: "|/home/odd/bin/bilder"
noreply: /dev/null
ALIASES
postmap /etc/postfix/vmailbox /etc/postfix/virtual
postalias /etc/aliases

# 2014-09-03  Kjell: Dovecot. Everything that differs is in local.conf, "so that upgrades are easy".
# 2019-05-05  Ingrid: dots in names of folders, because Kari's customers have them.
cp /etc/dovecot/conf.d/10-auth.conf /etc/dovecot/conf.d/10-auth.conf.dpkg-old
sed -i 's/^!include auth-system.conf.ext/#&  # kjell: see local.conf, the order matters/' \
    /etc/dovecot/conf.d/10-auth.conf
cat >/etc/dovecot/local.conf <<DOVECOT
# bergen, kjell 2014-09-03
protocols = imap lmtp sieve
listen = *, ::
ssl = yes
ssl_cert = </etc/ssl/nordlys/bergen.pem
ssl_key = </etc/ssl/nordlys/bergen.key
#ssl_protocols = !SSLv2 !SSLv3
disable_plaintext_auth = yes
auth_mechanisms = plain login
auth_username_format = %Lu

mail_location = maildir:~/Maildir
mail_plugins = listescape
namespace inbox {
  inbox = yes
  separator = /
}

# first those without an account: pam waits two seconds for every wrong one
passdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
}
userdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/users
  default_fields = uid=vmail gid=vmail home=/var/vmail/%d/%n
}
passdb {
  driver = pam
}
userdb {
  driver = passwd
}

protocol lda {
  mail_plugins = \$mail_plugins sieve
}
protocol lmtp {
  mail_plugins = \$mail_plugins sieve
  postmaster_address = postmaster@$DOMAIN
}
protocol imap {
  mail_max_userip_connections = 50
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
  sieve_before = /etc/dovecot/sieve/before.sieve
  #quota = maildir:User quota
}

service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
service lmtp {
  unix_listener /var/spool/postfix/private/dovecot-lmtp {
    mode = 0600
    user = postfix
    group = postfix
  }
}
DOVECOT

# 2016-05-17  Kjell: filters. The first for everybody, the others are people's own.
mkdir -p /etc/dovecot/sieve
cat >/etc/dovecot/sieve/before.sieve <<'SIEVE'
require ["fileinto", "mailbox"];
if header :is "X-Spam-Flag" "YES" { fileinto :create "Junk"; stop; }
SIEVE
touch -d 2016-05-17 /etc/dovecot/sieve/before.sieve # older than what is compiled from it
sievec /etc/dovecot/sieve/before.sieve
filters() { # login home: the script is on standard input
    mkdir -p "$2/sieve"
    cat >"$2/sieve/roundcube.sieve"
    ln -sf sieve/roundcube.sieve "$2/.dovecot.sieve"
}
filters "kari@$DOMAIN" "/var/vmail/$DOMAIN/kari" <<'SIEVE'
require ["fileinto", "imap4flags", "mailbox"];
# rule:[lister]
if header :contains "List-Id" "debian-user" { fileinto "Lister/debian-user"; stop; }
# rule:[kunder]
if address :domain "from" "fjellheim.example" { addflag "viktig"; fileinto :create "Kunder/Fjellheim A.S."; stop; }
# rule:[søppel]
if header :contains "Subject" "tilbud!!!" { setflag "\\Seen"; fileinto "Søppel"; stop; }
SIEVE
filters "per.ole@$DOMAIN" "/var/vmail/$DOMAIN/per.ole" <<'SIEVE'
require ["vacation", "fileinto", "date", "relational"];
# ferie 2019 -- remember to switch off
if currentdate :value "le" "date" "2019-08-12" {
  vacation :days 7 :subject "Ferie" "Tilbake i august.";
}
SIEVE
filters ingrid /home/ingrid <<'SIEVE'
require ["fileinto", "copy"];
if header :contains "Subject" "[cron]" { fileinto "Møter & referater"; }
if header :contains "Subject" "Cron <" { discard; stop; }
SIEVE
mkdir -p /home/ingrid/sieve && echo '# try again some day' >/home/ingrid/sieve/kladd.sieve
# 2018-03-03  Odd reads at home as well: a copy goes there, one stays. (His own name in there made
# a loop; Kjell wrote the directory instead, past dovecot and its filters.)
printf '/home/odd/Maildir/, odd.privat@%s\n' "$foreign" >/home/odd/.forward

# 2024-02-20  Ingrid: signing with DKIM would be nice; the key is in the zone, the signer is not here.
mkdir -p /etc/opendkim/keys
echo 'mail2024: see zone. opendkim NOT INSTALLED YET' >/etc/opendkim/keys/README
