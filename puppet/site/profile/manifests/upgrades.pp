# @summary Security updates, installed every night without a person, one host after the other.
#
# The standby is first and has hours to fail before production follows. A host never restarts by
# itself: that is for a person, or for a promotion, to decide.
#
# @param start the hour at which the first host's turn is, local time
# @param round how many hours lie between one host's turn and the end of all turns
# @param held packages that are left alone, as regular expressions; a promotion upgrades them
class profile::upgrades (
  Integer[0, 23] $start = 0,
  Integer[1, 23] $round = 12,
  Array[String[1]] $held = [],
) {
  package { 'unattended-upgrades':
    ensure => installed,
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['unattended-upgrades'],
      ;
    '/etc/apt/apt.conf.d/20auto-upgrades':
      content => @(CONF),
        // Managed by Puppet.
        APT::Periodic::Update-Package-Lists "1";
        APT::Periodic::Unattended-Upgrade "1";
        APT::Periodic::AutocleanInterval "7";
        | CONF
      ;
    '/etc/apt/apt.conf.d/61fleet-upgrades':
      content => epp('profile/upgrades.epp', { 'held' => $held }),
      ;
  }

  # Debian's timers choose a moment at random and catch up after a restart: two hosts may go
  # at once, and one that has just come back would begin by upgrading itself. The package lists
  # are fetched an hour before.
  $minutes = ($start * 60 + fleet::stagger($round * 60)) % 1440
  $turns = {
    'apt-daily'         => ($minutes + 1380) % 1440,
    'apt-daily-upgrade' => $minutes,
  }

  $turns.each |$timer, $turn| {
    profile::systemd::dropin { "${timer}.timer":
      content => @("CONF"),
        [Timer]
        OnCalendar=
        OnCalendar=*-*-* ${sprintf('%02d:%02d', $turn / 60, $turn % 60)}
        RandomizedDelaySec=0
        Persistent=false
        | CONF
      notify  => Service["${timer}.timer"],
    }

    # Debian's own would also draw a new moment at each daemon-reload, counted from the start of the
    # host: while packages are installed such a turn is soon drawn, and takes apt's lock (measured).
    service { "${timer}.timer":
      ensure => running,
      enable => true,
    }

    Service["${timer}.timer"] -> Package <| |>
  }
}
