variable "idle" {
  type = number
}
variable "target_group" {
  type = string
}
resource "aws_lb" "this" {
  name               = "mqtt"
  load_balancer_type = "network"
  subnets            = ["subnet-11111111"]
}
resource "aws_lb_listener" "this" {
  load_balancer_arn        = aws_lb.this.arn
  port                     = 8883
  protocol                 = "TCP"
  tcp_idle_timeout_seconds = var.idle
  default_action {
    type             = "forward"
    target_group_arn = var.target_group
  }
}
output "arn" {
  value = aws_lb.this.arn
}
