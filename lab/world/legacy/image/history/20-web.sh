#!/bin/sh
# Bergen, the web server. The pages are written by a script of Kjell's; the certificate names no
# address but belongs to the lab, so it comes with the machine.
set -eu
: "${DOMAIN:?}"

# 2013-04-06  Kjell: Apache, one site, plain files. Everything is allowed in .htaccess.
mkdir -p /var/www/nordlys /etc/ssl/nordlys
cp /etc/apache2/apache2.conf /etc/apache2/apache2.conf.orig
a2dissite -q 000-default
a2enmod -q rewrite headers ssl

# 2013-04-06  Kjell: a certificate made at home; a real one "when somebody pays" (2018, they are free).
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=bergen.$DOMAIN" -keyout /etc/ssl/nordlys/bergen.key -out /etc/ssl/nordlys/bergen.pem \
    2>/dev/null
chmod 600 /etc/ssl/nordlys/bergen.key

# 2016-08-14  Odd: the old addresses still get visitors. The rules moved here from three files.
cat >/var/www/nordlys/.htaccess <<'HTACCESS'
# odd 2016-08-14. ORDER MATTERS
RewriteEngine On
# the wiki, closed 2015. gone means gone
RewriteRule ^wiki(/|$) - [G,L]
# the first blog software had numbers
RewriteRule ^index\.php$ /arkiv/? [R=301,L]
RewriteRule ^node/12$ /artikler/2014/03/kp-indeksen.html [R=301,L]
# kari's poster, printed 2017, cannot be changed
RewriteRule ^bli-medlem$ http://foreningen.kunder.%{HTTP_HOST}/ [R=302,L]
RewriteCond %{REQUEST_URI} !^/om
RewriteRule ^about$ /om\ oss.html [R=301,NE,L]
ErrorDocument 404 /404.html
Options +Indexes
AddDefaultCharset UTF-8
# firefox kept the old css for months
<FilesMatch "\.css$">
  Header set Cache-Control "max-age=3600"
</FilesMatch>
HTACCESS
# %{HTTP_HOST} in the rule above sent www visitors to a name that is none. Fixed 2016-09-01.
sed -i "s/foreningen\.kunder\.%{HTTP_HOST}/foreningen.kunder.$DOMAIN/" /var/www/nordlys/.htaccess

# 2018-06-06  Ingrid: TLS for www and web, the same site on both ports. Nobody is sent to https:
# two members read with a telephone from 2009.
cat >/etc/apache2/sites-available/nordlys.conf <<SITE
# bergen: www
<VirtualHost *:80>
    ServerName www.$DOMAIN
    ServerAlias web.$DOMAIN static.$DOMAIN www.nordlys2.$DOMAIN WWW2.$DOMAIN
    ServerAlias xn--blbr-roah.$DOMAIN webmail.$DOMAIN
    ServerAdmin kjell@$DOMAIN
    DocumentRoot /var/www/nordlys
    <Directory /var/www/nordlys>
        AllowOverride All
        Require all granted
    </Directory>
    <Directory /var/www/nordlys/privat>
        # ingrid 2019: from the office only
        Require ip 10.8.0.0/24
    </Directory>
    #CustomLog /var/log/apache2/nordlys.log combined
</VirtualHost>

<VirtualHost *:443>
    ServerName www.$DOMAIN
    ServerAlias web.$DOMAIN static.$DOMAIN www.nordlys2.$DOMAIN
    DocumentRoot /var/www/nordlys
    SSLEngine on
    SSLCertificateFile /etc/ssl/nordlys/bergen.pem
    SSLCertificateKeyFile /etc/ssl/nordlys/bergen.key
    # sslv3 off, poodle (kjell 2014)
    SSLProtocol all -SSLv3
    <Directory /var/www/nordlys>
        AllowOverride All
        Require all granted
    </Directory>
</VirtualHost>

# without www: on business cards since 2015
<VirtualHost *:80>
    ServerName $DOMAIN
    Redirect permanent / http://www.$DOMAIN/
</VirtualHost>
<VirtualHost *:443>
    ServerName $DOMAIN
    SSLEngine on
    SSLCertificateFile /etc/ssl/nordlys/bergen.pem
    SSLCertificateKeyFile /etc/ssl/nordlys/bergen.key
    Redirect permanent / https://www.$DOMAIN/
</VirtualHost>
SITE
a2ensite -q nordlys
mkdir -p /var/www/nordlys/privat
echo 'keys to the cabin: under the usual stone' >/var/www/nordlys/privat/hytta.txt

# 2017-05-21  Odd: the association's guest book, in PHP. One file, no database. Its site comes
# first in the alphabet, so since then every unknown name gets the guest book.
mkdir -p /var/www/foreningen/data
cp /tmp/guestbook/index.php /var/www/foreningen/
cp /tmp/guestbook/entries.txt /var/www/foreningen/data/
printf '# not for reading (odd 2018-01-02, after google had it)\nRequire all denied\n' \
    >/var/www/foreningen/data/.htaccess
chown -R www-data:www-data /var/www/foreningen/data
cp /var/www/foreningen/index.php /var/www/foreningen/index.php.old
cat >/etc/apache2/sites-available/foreningen.conf <<SITE
# odd 2017-05-21, all customers end here since 2022
<VirtualHost *:80>
    ServerName foreningen.kunder.$DOMAIN
    ServerAlias *.kunder.$DOMAIN
    DocumentRoot /var/www/foreningen
    <Directory /var/www/foreningen>
        AllowOverride All
        Require all granted
    </Directory>
    <Files ~ "\.old$">
        Require all denied
    </Files>
</VirtualHost>
<VirtualHost *:443>
    ServerName foreningen.kunder.$DOMAIN
    DocumentRoot /var/www/foreningen
    SSLEngine on
    SSLCertificateFile /etc/ssl/nordlys/bergen.pem
    SSLCertificateKeyFile /etc/ssl/nordlys/bergen.key
    <Directory /var/www/foreningen>
        AllowOverride All
        Require all granted
    </Directory>
    <Files ~ "\.old$">
        Require all denied
    </Files>
</VirtualHost>
SITE
a2ensite -q foreningen

# 2017-01-31  Kjell: the second project is closed; its site is only disabled.
cat >/etc/apache2/sites-available/vinterlys.conf <<'SITE'
<VirtualHost *:80>
    ServerName www.vinterlys.example
    DocumentRoot /var/www/vinterlys
</VirtualHost>
SITE

# 2019-02-03  Odd: a copy of the guest book every night, because of 2018. It works, nobody knows.
cat >/etc/cron.d/gjestebok <<'CRON'
# odd
10 3 * * * www-data cp /var/www/foreningen/data/entries.txt /var/www/foreningen/data/entries.bak
CRON

# 2021-01-10  Ingrid: the statistics are gone with Debian 11, the cron job is not.
cat >/etc/cron.d/awstats-nordlys <<'CRON'
*/10 * * * * www-data [ -x /usr/share/awstats/tools/update.sh ] && /usr/share/awstats/tools/update.sh
CRON

# 2023-07-16  Ingrid: quiet, apache.
printf 'ServerName bergen.%s\nServerTokens Prod\n' "$DOMAIN" >/etc/apache2/conf-available/nordlys.conf
a2enconf -q nordlys
