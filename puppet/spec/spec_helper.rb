# frozen_string_literal: true

# Before rspec-puppet, whose own way to load libraries finds no gem that is not loaded yet.
require 'hiera/backend/eyaml/encryptor'
require 'rspec-puppet'

require_relative '../tools/fleet_facts'

# The repository as the server has it: the same modules, the same Hiera layers, and the site's
# data from where the control host keeps it.
RSpec.configure do |config|
  root = File.expand_path('..', __dir__)
  config.module_path = [File.join(root, 'modules'), File.join(root, 'site')].join(':')
  config.hiera_config = File.join(root, 'hiera.yaml')
  config.strict_variables = true
  config.order = :defined
end

# A host of the fleet, as a container or as a server of its own, and nothing declared on it.
RSpec.shared_context 'with a host' do |name, kind = 'server'|
  let(:node) { FleetFacts.hosts.fetch(name).fetch('certname') }
  let(:facts) { FleetFacts.facts(name, FleetFacts.hosts.fetch(name), kind: kind) }
end

# The same host with all that its role gives it.
RSpec.shared_context 'with a host and its role' do |name, kind = 'server'|
  include_context 'with a host', name, kind
  let(:pre_condition) { File.read(File.expand_path('../manifests/site.pp', __dir__)) }
end
