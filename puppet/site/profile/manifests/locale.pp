# @summary One language and one time zone, so that logs of several hosts can be read together.
#
# @param lang the value of LANG; C.UTF-8 needs no package
# @param timezone name of the zone as tz(5) has it
class profile::locale (
  String[1] $lang = 'C.UTF-8',
  String[1] $timezone = 'Etc/UTC',
) {
  file {
    default:
      owner => 'root',
      group => 'root',
      ;
    '/etc/locale.conf':
      ensure  => file,
      mode    => '0644',
      content => "# Managed by Puppet.\nLANG=${lang}\n",
      ;
    '/etc/default/locale':
      ensure => link,
      target => '../locale.conf',
      ;
    '/etc/localtime':
      ensure => link,
      target => "/usr/share/zoneinfo/${timezone}",
      ;
  }
}
