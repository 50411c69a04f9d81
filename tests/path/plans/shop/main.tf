# A shop with every resource that makes a hop. ../shop.json is `terraform show -json` of its plan, without the values
# and resources that nothing reads; ../state.json is that of a state. tests/path/test_terraform.py plans it anew.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "x"
  secret_key                  = "y"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

variable "idle" {
  default = 120
}

resource "aws_lb" "web" {
  name            = "web"
  idle_timeout    = var.idle
  subnets         = ["subnet-11111111", "subnet-22222222"]
  security_groups = ["sg-11111111"]
}

resource "aws_lb_target_group" "web" {
  name     = "web"
  port     = 80
  protocol = "HTTP"
  vpc_id   = "vpc-11111111"
}

resource "aws_lb_target_group" "api" {
  count    = 2
  name     = "api-${count.index}"
  port     = 8080 + count.index
  protocol = "HTTP"
  vpc_id   = "vpc-11111111"
}

resource "aws_lb_listener" "plain" {
  load_balancer_arn = aws_lb.web.arn
  port              = 80
  default_action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "tls" {
  load_balancer_arn = aws_lb.web.arn
  port              = 443
  protocol          = "HTTPS"
  certificate_arn   = "arn:aws:acm:eu-west-1:123456789012:certificate/11111111-1111-1111-1111-111111111111"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}

resource "aws_lb_listener_rule" "api" {
  listener_arn = aws_lb_listener.tls.arn
  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.api[0].arn
        weight = 90
      }
      target_group {
        arn    = aws_lb_target_group.api[1].arn
        weight = 10
      }
    }
  }
  condition {
    path_pattern {
      values = ["/api/*"]
    }
  }
}

resource "aws_cloudfront_distribution" "cdn" {
  enabled = true
  origin {
    origin_id   = "web"
    domain_name = aws_lb.web.dns_name
    custom_origin_config {
      http_port                = 80
      https_port               = 443
      origin_keepalive_timeout = 60
      origin_read_timeout      = 30
      origin_protocol_policy   = "https-only"
      origin_ssl_protocols     = ["TLSv1.2"]
    }
    custom_header {
      name  = "X-Secret"
      value = "hunter2-in-a-header"
    }
  }
  origin {
    origin_id   = "files"
    domain_name = "files.s3.amazonaws.com"
  }
  default_cache_behavior {
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    target_origin_id       = "web"
    viewer_protocol_policy = "redirect-to-https"
    forwarded_values {
      query_string = true
      cookies {
        forward = "all"
      }
    }
  }
  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }
  viewer_certificate {
    cloudfront_default_certificate = true
  }
}

module "tcp" {
  for_each     = toset(["mqtt"])
  source       = "./tcp"
  idle         = 3600
  target_group = aws_lb_target_group.mqtt.arn
}

resource "aws_lb_target_group" "mqtt" {
  name     = "mqtt"
  port     = 8883
  protocol = "TCP"
  vpc_id   = "vpc-11111111"
}

resource "aws_launch_template" "broker" {
  name          = "broker"
  image_id      = "ami-11111111"
  instance_type = "m8i.large"
  user_data     = "aHVudGVyMi1pbi11c2VyLWRhdGE="
  network_interfaces {
    connection_tracking_specification {
      tcp_established_timeout = 350
    }
  }
}

resource "aws_autoscaling_group" "broker" {
  min_size            = 1
  max_size            = 2
  target_group_arns   = [aws_lb_target_group.mqtt.arn]
  vpc_zone_identifier = ["subnet-11111111"]
  launch_template {
    id = aws_launch_template.broker.id
  }
}

resource "aws_elb" "old" {
  name         = "old"
  subnets      = ["subnet-11111111"]
  idle_timeout = 300
  listener {
    instance_port     = 8000
    instance_protocol = "http"
    lb_port           = 80
    lb_protocol       = "http"
  }
}

resource "aws_nat_gateway" "out" {
  connectivity_type = "private"
  subnet_id         = "subnet-11111111"
}

resource "aws_networkfirewall_firewall_policy" "edge" {
  name = "edge"
  firewall_policy {
    stateless_default_actions          = ["aws:forward_to_sfe"]
    stateless_fragment_default_actions = ["aws:forward_to_sfe"]
    stateful_engine_options {
      flow_timeouts {
        tcp_idle_timeout_seconds = 600
      }
    }
  }
}

resource "aws_lb" "front" {
  name               = "front"
  load_balancer_type = "network"
  subnets            = ["subnet-11111111"]
}

resource "aws_lb_listener" "front" {
  load_balancer_arn = aws_lb.front.arn
  port              = 443
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.front.arn
  }
}

resource "aws_lb_target_group" "front" {
  name        = "front"
  port        = 443
  protocol    = "TCP"
  target_type = "alb"
  vpc_id      = "vpc-11111111"
}

resource "aws_lb_target_group_attachment" "front" {
  target_group_arn = aws_lb_target_group.front.arn
  target_id        = aws_lb.shared.arn
}

resource "aws_lb" "shared" {
  name            = "shared"
  internal        = true
  subnets         = ["subnet-11111111", "subnet-22222222"]
  security_groups = ["sg-11111111"]
}

resource "aws_lb" "dyn" {
  name            = "dyn"
  internal        = true
  subnets         = ["subnet-11111111", "subnet-22222222"]
  security_groups = ["sg-11111111"]
}
locals {
  tgs = { a = aws_lb_target_group.dyn.arn }
}
resource "aws_lb_target_group" "dyn" {
  name     = "dyn"
  port     = 81
  protocol = "HTTP"
  vpc_id   = "vpc-11111111"
}
resource "aws_lb_listener" "dyn" {
  load_balancer_arn = aws_lb.dyn.arn
  port              = 80
  dynamic "default_action" {
    for_each = local.tgs
    content {
      type             = "forward"
      target_group_arn = default_action.value
    }
  }
}
