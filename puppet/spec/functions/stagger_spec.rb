# frozen_string_literal: true

describe 'fleet::stagger' do
  hosts = FleetFacts.hosts.sort_by { |_, host| host['promotion_order'] }

  hosts.each_with_index do |(name, _), turn|
    context "on #{name}" do
      include_context 'with a host', name

      let(:pre_condition) { "$role = 'base'" }

      it { is_expected.to run.with_params(720).and_return(turn * 720 / hosts.length) }
      it { is_expected.to run.with_params(0).and_raise_error(/expects an Integer\[1/) }
    end
  end
end
