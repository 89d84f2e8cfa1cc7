# @summary What watches the fleet: Prometheus, Alertmanager, probes from outside, pictures.
#
# Whom it asks for what follows from the finished steps (fleet::serving). Metrics come through the
# mesh only; names, pages and mail are asked for as users do. Alerts leave by a mail server of this
# host's own, so that they do when all others are dead.
#
# @param alerts_to where alerts go: an address of another domain than the fleet's, whose mail may be
#   what is broken
# @param watchdog_url what is told every minute that all this runs; it complains when it hears nothing
# @param authority root certificates, PEM, of whoever certifies the fleet's sites and mail; those of
#   the system where there are none
# @param interval how often everybody is asked, in seconds
# @param retention how long history is kept
# @param retention_size and how much of it at most
# @param page a label of the domain, and a path there, that answers 200
class profile::monitoring (
  Optional[String[1]] $alerts_to = undef,
  Optional[Stdlib::HTTPUrl] $watchdog_url = undef,
  Optional[String[1]] $authority = undef,
  Integer[5, 60] $interval = 15,
  Pattern[/\A[0-9]+[dwy]\z/] $retention = '90d',
  Pattern[/\A[0-9]+[MG]B\z/] $retention_size = '4GB',
  Struct[{ label => Profile::Web::Label, path => Stdlib::Unixpath }] $page = { 'label' => 'www', 'path' => '/' },
) {
  include fleet

  if $fleet::watched {
    if !$alerts_to or $alerts_to.split('@')[1] == $fleet::domain or $alerts_to =~ "\\.${fleet::domain}\$" {
      fail('profile::monitoring: alerts need an address outside the fleet\'s domain')
    }

    class { 'profile::monitoring::prometheus':
      interval       => $interval,
      retention      => $retention,
      retention_size => $retention_size,
    }

    class { 'profile::monitoring::probes':
      authority => $authority,
      page      => $page,
    }

    class { 'profile::monitoring::alertmanager':
      alerts_to    => $alerts_to,
      watchdog_url => $watchdog_url,
    }

    user { 'fleet-watch':
      ensure => present,
      system => true,
      home   => '/nonexistent',
      shell  => '/usr/sbin/nologin',
    }

    include profile::monitoring::postfix
    include profile::monitoring::look
    include profile::monitoring::letter
    include profile::monitoring::pictures
  }
}
