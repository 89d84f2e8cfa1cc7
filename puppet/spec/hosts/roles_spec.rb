# frozen_string_literal: true

FleetFacts.hosts.each do |name, host|
  describe host['certname'], type: :host do
    FleetFacts::KINDS.each do |kind|
      context "as a #{kind}" do
        include_context 'with a host and its role', name, kind

        it "has its role, #{host['role']}" do
          is_expected.to compile.with_all_deps
          is_expected.to contain_class("role::#{host['role']}")
          is_expected.to contain_class('profile::base')
        end
      end
    end
  end
end
