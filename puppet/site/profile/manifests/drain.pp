# @summary Planned work on this host: nobody new is sent here, and whoever is here is served to the end.
#
# Names lead to a host while its services answer to health checks. A drained host answers no, and
# caches forget it; only then anything is stopped. Services hook in (`profile::drain::hook`).
class profile::drain {
  $state = '/var/lib/fleet'
  $map = "${state}/drain.map"

  file {
    default:
      ensure => directory,
      owner  => 'root',
      group  => 'root',
      mode   => '0755',
      ;
    ['/etc/fleet', $state]:
      ;
    '/etc/fleet/drain.d':
      recurse => true,
      purge   => true,
      ;
    # Whether it is drained is the operator's to say.
    $map:
      ensure  => file,
      mode    => '0644',
      replace => false,
      content => '',
      ;
    '/usr/local/sbin/host-drain':
      ensure => file,
      source => 'puppet:///modules/profile/host-drain',
      ;
  }
}
