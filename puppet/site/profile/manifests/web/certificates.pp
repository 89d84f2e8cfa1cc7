# @summary Certificates, asked for and renewed by this host itself (ACME, HTTP-01).
#
# Every host of the fleet has the same account; HAProxy answers for it without knowing the tokens.
#
# @param sites the sites, with the names that want a certificate
# @param acme who issues them
# @param account_key key of the account, PEM
# @param others name -> a certificate that another service shows; `/usr/local/sbin/certificate-NAME`,
#   which is that service's, brings it there
class profile::web::certificates (
  Hash[Profile::Web::Name, Profile::Web::Description, 1] $sites,
  Profile::Web::Acme $acme,
  Sensitive[String[1]] $account_key,
  Hash[Profile::Web::Name, Profile::Web::Certificate] $others = {},
) {
  include fleet

  $etc = '/etc/dehydrated'
  $state = '/var/lib/dehydrated'
  # Whoever changes the authority has another account there, with the same key.
  $account = "${state}/${acme['directory'].regsubst('[^a-z0-9]+', '-', 'G')}.pem"
  $certified = $sites.filter |$name, $site| { !pick($site['certified'], []).empty }
  $shown = $others.filter |$name, $other| { profile::web::serves($other['service']) }
  $labels = $certified.reduce({}) |$all, $pair| { $all + { $pair[0] => $pair[1]['certified'] } }
  $more = $shown.reduce({}) |$all, $pair| { $all + { $pair[0] => $pair[1]['names'] } }
  $lines = ($labels + $more).map |$name, $wanted| {
    $names = $wanted.map |$label| { profile::web::fqdn($label) }
    "${names.join(' ')} > ${name}\n"
  }

  package { 'dehydrated':
    ensure => installed,
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['dehydrated'],
      ;
    "${etc}/conf.d/fleet.sh":
      content => epp('profile/web/dehydrated.epp', {
          'directory' => $acme['directory'],
          'authority' => $acme['authority'],
          'contact'   => $fleet::contact,
      }),
      ;
    "${etc}/authority.pem":
      content => pick($acme['authority'], "# The system's.\n"),
      ;
    "${etc}/domains.txt":
      content => $lines.join,
      ;
    "${state}/acme-challenges":
      ensure => directory,
      mode   => '0700',
      ;
    $account:
      mode      => '0600',
      show_diff => false,
      content   => $account_key,
      ;
    '/usr/local/sbin/web-certificate':
      mode   => '0755',
      source => 'puppet:///modules/profile/web/web-certificate',
      ;
    '/usr/local/sbin/web-certificates':
      mode   => '0755',
      source => 'puppet:///modules/profile/web/web-certificates',
      ;
  }

  profile::systemd::unit { 'web-certificates.service':
    content => epp('profile/web/web-certificates.service.epp', { 'account' => $account }),
  }

  # An authority that could not see this host an hour ago may see it now.
  profile::systemd::unit { 'web-certificates.timer':
    content => file('profile/web/web-certificates.timer'),
  }

  service { 'web-certificates.timer':
    ensure  => running,
    enable  => true,
    require => [
      Profile::Systemd::Unit['web-certificates.service', 'web-certificates.timer'],
      File["${etc}/domains.txt", '/usr/local/sbin/web-certificate', '/usr/local/sbin/web-certificates'],
    ],
  }
}
