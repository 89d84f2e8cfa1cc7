# @summary The replicator: what changes in the mail of this host is synced with its peer at once.
#
# Dovecot leaves a marker for whoever's mail has changed, in a spool that outlives any crash; the
# service has Dovecot sync that user with the peer, both ways, and takes the marker away. Both
# hosts have it, so that both may be written to.
#
# It is a part of a Dovecot that somebody else sets up. They
#
# - include what it writes for Dovecot, `!include_try replicator.conf`, at the end of dovecot.conf,
#   and restart Dovecot when that changes: whoever stays logged in over a reload leaves no markers;
# - let the peer in at the port for syncs, and Prometheus at that for metrics, through the mesh.
#
# Both hosts have the same users, and names of their own: of two that are called alike each would
# wait for the other's lock.
#
# @param address this host's own address in the mesh
# @param peer the peer's
# @param password what both hosts' Dovecots know one another by
# @param mail_group whom mail belongs to, and who leaves the markers
# @param dsync_port where Dovecot takes syncs, in the mesh
# @param http_port where Dovecot has its HTTP API, on the loopback
# @param metrics_port where Prometheus finds the metrics, in the mesh
# @param parallel how many syncs there may be at a time; they wait for the network most of it
# @param sweep_interval every so many seconds everybody is synced, whether there is a marker or not
# @param empty there is such a file as long as this host has never had the mailboxes: it is made before
#   the service starts, and taken away before anybody may write here. Until it goes mail comes in one
#   direction first, user by user, and the peer must not get through to Dovecot's port for syncs
# @param commands what others ask of Dovecot with the same password, besides what is asked from here
class replicator (
  Stdlib::IP::Address::V4::Nosubnet $address,
  Stdlib::IP::Address::V4::Nosubnet $peer,
  Sensitive[Pattern[/\A[A-Za-z0-9]{32,}\z/]] $password,
  String[1] $mail_group = 'vmail',
  Stdlib::Port $dsync_port = 12346,
  Stdlib::Port $http_port = 8083,
  Stdlib::Port $metrics_port = 9106,
  Integer[1, 16] $parallel = 8,
  Integer[60] $sweep_interval = 3600,
  Stdlib::Unixpath $empty = '/run/replicator-empty',
  Array[Pattern[/\A[a-z-]+\z/]] $commands = [],
) {
  include profile::python3

  $etc = '/etc/replicator'
  $library = '/usr/local/lib/replicator'
  $program = '/usr/local/sbin/replicator'
  # Where Dovecot may write to anyway.
  $spool = '/var/lib/dovecot/replicator'
  $script = '/etc/dovecot/replicator.lua'

  user { 'replicator':
    ensure => present,
    system => true,
    home   => '/nonexistent',
    shell  => '/usr/sbin/nologin',
  }

  file {
    default:
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644',
      ;
    # Dovecot may leave something here, and cannot see what others have left.
    $spool:
      ensure  => directory,
      owner   => 'replicator',
      group   => $mail_group,
      mode    => '0730',
      require => Package['dovecot-core'],
      ;
    $script:
      source  => 'puppet:///modules/replicator/replicator.lua',
      require => Package['dovecot-core'],
      ;
    '/etc/dovecot/replicator.conf':
      mode      => '0600',
      show_diff => false,
      content   => Sensitive(epp('replicator/dovecot.conf.epp', {
            'address'    => $address,
            'dsync_port' => $dsync_port,
            'http_port'  => $http_port,
            'script'     => $script,
            'spool'      => $spool,
            'events'     => '/run/replicator/events',
            'parallel'   => $parallel,
            'password'   => $password,
            'commands'   => $commands,
      })),
      require   => File[$spool, $script],
      ;
  }

  file {
    default:
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644',
      notify => Service['replicator.service'],
      ;
    $library:
      ensure => directory,
      mode   => '0755',
      ;
    "${library}/replicator":
      ensure  => directory,
      mode    => undef,
      source  => 'puppet:///modules/replicator/replicator',
      recurse => true,
      purge   => true,
      force   => true,
      ;
    $program:
      mode    => '0755',
      source  => 'puppet:///modules/replicator/launcher',
      require => Package['python3'],
      ;
    $etc:
      ensure => directory,
      mode   => '0755',
      ;
    "${etc}/settings.json":
      content => stdlib::to_json_pretty({
          'address'        => $address,
          'peer'           => $peer,
          'dsync_port'     => $dsync_port,
          'http_port'      => $http_port,
          'metrics_port'   => $metrics_port,
          'spool'          => $spool,
          'state'          => '/var/lib/replicator',
          'parallel'       => $parallel,
          'sweep_interval' => $sweep_interval,
          'empty'          => $empty,
      }),
      ;
    "${etc}/password":
      group     => 'replicator',
      mode      => '0640',
      show_diff => false,
      content   => $password,
      ;
  }

  profile::systemd::unit { 'replicator.service':
    content => epp('replicator/replicator.service.epp', { 'program' => $program, 'spool' => $spool }),
    notify  => Service['replicator.service'],
  }

  service { 'replicator.service':
    ensure  => running,
    enable  => true,
    require => File[$spool],
  }
}
