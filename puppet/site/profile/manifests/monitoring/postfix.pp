# @summary The way out for alerts: a Postfix that only sends, straight to whoever they are for.
#
# It listens to this host alone. What cannot be delivered at once is tried again every minute.
class profile::monitoring::postfix {
  include fleet

  $etc = '/etc/postfix'

  profile::systemd::dropin { 'postfix.service':
    content => file('profile/monitoring/postfix.conf'),
    before  => Package['postfix'],
  }

  package { ['postfix', 'ca-certificates']:
    ensure => installed,
  }

  file { "${etc}/main.cf":
    ensure       => file,
    owner        => 'root',
    group        => 'root',
    mode         => '0644',
    content      => epp('profile/monitoring/main.cf.epp', {
        'hostname' => "${trusted['hostname']}.${fleet::domain}",
    }),
    require      => Package['postfix', 'ca-certificates'],
    notify       => Service['postfix.service'],
  }

  service { 'postfix.service':
    ensure  => running,
    enable  => true,
    restart => '/usr/bin/systemctl reload postfix.service',
  }
}
