# @summary The certificate that Postfix and Dovecot show.
#
# It is asked for with those of the sites (`profile::web::certificates`). Neither starts without one,
# and none is to be had before the world finds this host: until then there is one that nobody believes.
#
# @param hostname the name in that one
class profile::mail::certificate (
  Stdlib::Fqdn $hostname,
) {
  $directory = '/etc/ssl/fleet'
  $path = "${directory}/mail.pem"
  $bring = '/usr/local/sbin/certificate-mail'

  package { 'openssl':
    ensure => installed,
  }

  file {
    default:
      owner => 'root',
      group => 'root',
      mode  => '0755',
      ;
    $directory:
      ensure => directory,
      ;
    # The name under which the hook of the sites' certificates looks for it.
    $bring:
      ensure => file,
      source => 'puppet:///modules/profile/mail/certificate-mail',
      ;
  }

  exec { 'mail: a certificate to begin with':
    command => "${bring} begin ${hostname}",
    path    => ['/usr/bin', '/bin'],
    creates => $path,
    require => [
      File[$directory, $bring],
      Package['openssl'],
    ],
  }
}
