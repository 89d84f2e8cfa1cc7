# @summary The certificate that Postfix and Dovecot show.
#
# Neither starts without one, and none is to be had before the world finds this host: until then
# there is one that nobody believes.
#
# @param hostname the name in that one
class profile::mail::certificate (
  Stdlib::Fqdn $hostname,
) {
  $directory = '/etc/ssl/fleet'
  $path = "${directory}/mail.pem"

  package { 'openssl':
    ensure => installed,
  }

  file { $directory:
    ensure => directory,
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
  }

  # Key and chain in one file, so that they are replaced in one step.
  exec { 'mail: a certificate to begin with':
    command => "/bin/sh -c 'umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
-days 3650 -subj /CN=${hostname} -keyout ${path}.key -out ${path}.chain 2>/dev/null && \
cat ${path}.key ${path}.chain >${path}.new && rm ${path}.key ${path}.chain && mv -T ${path}.new ${path}'",
    path    => ['/usr/bin', '/bin'],
    creates => $path,
    require => [File[$directory], Package['openssl']],
  }
}
