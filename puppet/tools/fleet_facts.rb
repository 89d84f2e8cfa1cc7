# frozen_string_literal: true

require 'json'
require 'yaml'

# Hosts that need not exist: their names and addresses from the description of the fleet, the rest
# as a Debian 13 machine recorded it (spec/facts).
module FleetFacts
  SITE_DATA = '/var/lib/generalprove/site/site.yaml'
  RECORDED = File.expand_path('../spec/facts', __dir__)

  # What a host may be: a container in the lab, or a server of its own. Of a server only the
  # differences are written down.
  KINDS = %w[container server].freeze

  # @return [Hash] every host of the fleet by its short name, as Puppet is told of it
  def self.hosts
    YAML.safe_load_file(SITE_DATA).fetch('fleet::hosts')
  end

  # @param name [String] the host's short name
  # @param host [Hash] what Puppet is told of it
  # @param kind [String] one of KINDS
  # @return [Hash] what the host would say of itself
  def self.facts(name, host, kind:)
    recorded('container').merge(kind == 'container' ? {} : recorded(kind)).merge(
      'clientcert' => host['certname'],
      'clientnoop' => false,
      'clientversion' => recorded('container').fetch('puppetversion'),
      'networking' => {
        'hostname' => name,
        'domain' => host['certname'].delete_prefix("#{name}."),
        'fqdn' => host['certname'],
        'ip' => host['v4'],
        'ip6' => host['v6'],
        'primary' => 'eth0',
      },
    )
  end

  # @param name [String] the host's short name
  # @param host [Hash] what Puppet is told of it
  # @return [Hash] what Puppet Server knows of it from its certificate
  def self.trusted(name, host)
    {
      'authenticated' => 'remote',
      'certname' => host['certname'],
      'hostname' => name,
      'domain' => host['certname'].delete_prefix("#{name}."),
      'extensions' => {},
      'external' => {},
    }
  end

  def self.recorded(kind)
    JSON.parse(File.read(File.join(RECORDED, "#{kind}.json")))
  end
  private_class_method :recorded
end
