#!/bin/sh
# Bergen, the name server. The zones themselves, and the list of them, name the server's
# addresses; they come with the machine.
set -eu
cd /etc/bind

# 2013-04-05  Kjell: name server at home at last, no more waiting for the registrar's web form.
# The registry wants two name servers, so ns2 is another name of this one.
mkdir -p zones
cp named.conf.options named.conf.options.orig

# 2014-10-02  Kjell: a friend's server became a real ns2 for a while and fetched the zones.
# 2016-03-21  The provider wrote: open resolver, used in an attack on a game server. Closed.
# 2018-11-30  The friend's server is gone. Its address was never taken out here.
# 2019-03-12  Ingrid: the printer's name has an underscore, and Debian 9's BIND minds.
cat >named.conf.options <<'OPTIONS'
options {
        directory "/var/cache/bind";

        // kjell 2016-03-21 WAS OPEN RESOLVER!!! leave this off
        recursion no;
        //allow-recursion { 127.0.0.1; 10.8.0.0/24; };

        // secondary (kjell 2014)
        allow-transfer { 198.51.100.77; };
        //also-notify { 198.51.100.77; };

        // ingrid 2019: gammel_printer
        check-names master ignore;

        dnssec-validation no;
        auth-nxdomain no;    # conform to RFC1035
        listen-on { any; };
        listen-on-v6 { any; };
        version "none of your business";
};
OPTIONS

# 2015-06-18  Kjell: a second project, closed in 2017. The zone's entry was commented out.
cat >zones/db.vinterlys.example <<'ZONE'
$TTL 86400
@   IN SOA ns1.nordlys.example. kjell.nordlys.example. ( 2015061801 8H 2H 4W 1D )
    IN NS  ns1.nordlys.example.
    IN NS  ns2.nordlys.example.
    IN A   198.51.100.20
www IN A   198.51.100.20
ZONE

# 2019-03-12  Ingrid: copy before the big clean-up of the zone. The clean-up was called off.
cat >zones/db.nordlys.example.bak-20190312 <<'ZONE'
; BACKUP ingrid 2019-03-12 -- delete when the new one works
$TTL 3600
@       IN SOA ns1.nordlys.example. kjell.nordlys.example. ( 2019022801 8H 2H 4W 1H )
        IN NS  ns1
        IN NS  ns2
        IN MX  10 mail
        IN A   198.51.100.20
ns1     IN A   198.51.100.20
ns2     IN A   198.51.100.20
www     IN A   198.51.100.20
mail    IN A   198.51.100.20
ZONE

# 2020-05-28  Kjell, the week before he left: a script for serial numbers. Nobody uses it.
cat >/root/bin/serial <<'SERIAL'
#!/bin/sh
# serial ZONEFILE -- sets the serial to today's first. does NOT look at the old one (TODO)
sed -i "s/20[0-9]\{8\}/$(date +%Y%m%d)01/" "$1" && rndc reload
SERIAL
chmod 755 /root/bin/serial

# 2021-09-05  Ingrid: "I will sign the zone over Christmas." Two keys, never used.
mkdir -p keys
echo 'dnssec keys go here, see wiki (ingrid, 2021-12)' >keys/README

# 2022-02-09  Ingrid: started to move to one file per zone with views, gave up the same night.
cat >named.conf.views.WIP <<'VIEWS'
// ingrid 2022-02-09: not included from anywhere yet
view "internal" {
        match-clients { 10.8.0.0/24; };
        zone "nordlys.example" { type master; file "/etc/bind/zones/internal/db.nordlys.example"; };
};
VIEWS
